// Checks for the driver scripts: one line each, and the first failure ends the script.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

// Packages are in target/, not beside this file.
export const packages = createRequire(`${process.env.NODE_PACKAGES}/`);
export const url = process.argv[2];

export async function check(name, run) {
  try {
    await run();
  } catch (error) {
    console.log(`FAILED ${name}`);
    console.log(error);
    process.exit(1);
  }
  console.log(`ok ${name}`);
}

export async function fails(promise, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.code, code, error.message);
    return true;
  });
}

export { assert };
