// A Node application on pg and on Sequelize. Usage: node_app.mjs URL. Packages are found where NODE_PACKAGES says.
//
// Prints one line for each thing that it does, without ids and times: the same on one PostgreSQL and on several shards.

import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.env.NODE_PACKAGES, 'package.json'));
const pg = require('pg');
const { Sequelize, DataTypes, Op } = require('sequelize');

const url = process.argv[2];
const does = async (what, action) => {
  try {
    console.log(`${what}: ${JSON.stringify(await action())}`);
  } catch (error) {
    const cause = error.original ?? error;
    console.log(`${what}: ${error.name} ${cause.code ?? ''} ${cause.message.split('\n')[0]}`);
  }
};

const sequelize = new Sequelize(url, { dialect: 'postgres', logging: process.env.VERBOSE ? console.error : false, pool: { max: 4 } });
const Color = sequelize.define('color', { name: { type: DataTypes.STRING(20), primaryKey: true } }, { tableName: 'node_color', timestamps: false });
const Shop = sequelize.define('shop', { name: DataTypes.STRING(50), open: { type: DataTypes.BOOLEAN, defaultValue: true } }, { tableName: 'node_shop' });
const Item = sequelize.define(
  'item',
  {
    shopId: { type: DataTypes.INTEGER, primaryKey: true },
    sku: { type: DataTypes.STRING(20), primaryKey: true },
    price: DataTypes.DECIMAL(10, 2),
    stock: { type: DataTypes.INTEGER, defaultValue: 0 },
    facts: DataTypes.JSONB,
  },
  { tableName: 'node_item' },
);
Shop.hasMany(Item, { foreignKey: 'shopId', onDelete: 'CASCADE' });
Item.belongsTo(Shop, { foreignKey: 'shopId' });
Item.belongsTo(Color, { foreignKey: 'colorName' });

await does('sync', async () => (await sequelize.sync(), true));
await does('colors', async () => (await Color.bulkCreate([{ name: 'red' }, { name: 'blue' }])).length);
await does('shops', async () => (await Shop.bulkCreate(['a', 'b', 'c', 'd', 'e'].map((name) => ({ name: `shop ${name}` })))).map((one) => one.name));
const shops = await Shop.findAll({ order: ['name'] });
await does('items', async () =>
  (await Item.bulkCreate(shops.flatMap((shop, n) => [0, 1, 2].map((i) => ({ shopId: shop.id, sku: `sku ${i}`, price: n + i, stock: i * n, colorName: i ? 'red' : 'blue', facts: { i, n } }))))).length);
await does('item', async () => (await Item.create({ shopId: shops[0].id, sku: 'more', price: '7.5' })).stock);
await does('again', async () => Item.create({ shopId: shops[0].id, sku: 'more' }));
await does('find', async () => (await Item.findOne({ where: { shopId: shops[1].id, sku: 'sku 1' } })).price);
await does('by key', async () => (await Shop.findByPk(shops[2].id)).name);
await does('include', async () => (await Shop.findAll({ include: { model: Item, include: Color }, order: ['name', [Item, 'sku', 'ASC']] })).map((shop) => [shop.name, shop.items.map((item) => [item.sku, item.color?.name])]));
await does('include of one', async () => (await Shop.findOne({ where: { id: shops[0].id }, include: Item })).items.length);
await does('include required', async () => (await Shop.findAll({ include: { model: Item, where: { stock: { [Op.gt]: 5 } } }, order: ['name'] })).map((shop) => shop.name));
await does('separate', async () => (await Shop.findAll({ include: { model: Item, separate: true }, order: ['name'], limit: 2 })).map((shop) => shop.items.length));
await does('page', async () => {
  const { count, rows } = await Item.findAndCountAll({ where: { price: { [Op.gte]: 2 } }, order: [['price', 'DESC'], 'sku', 'shopId'], limit: 3, offset: 1, include: Shop });
  return [count, rows.map((item) => [item.sku, item.price, item.shop.name])];
});
await does('count', async () => [await Item.count(), await Item.count({ where: { shopId: shops[0].id } }), await Shop.count()]);
await does('sums', async () => [await Item.sum('stock'), await Item.max('price'), await Item.min('sku')]);
await does('group', async () => (await Item.findAll({ attributes: ['colorName', [sequelize.fn('COUNT', sequelize.col('sku')), 'n'], [sequelize.fn('SUM', sequelize.col('price')), 'sum']], group: 'colorName', order: ['colorName'], raw: true })));
await does('json', async () => (await Item.findAll({ where: { facts: { i: 1 } }, order: ['shopId'] })).length);
await does('update', async () => await Item.update({ stock: 9 }, { where: { shopId: shops[1].id } }));
await does('update all', async () => await Item.update({ stock: sequelize.literal('stock + 1') }, { where: { colorName: 'red' } }));
await does('increment', async () => (await (await Item.findOne({ where: { shopId: shops[1].id, sku: 'sku 2' } })).increment('stock', { by: 2 })).stock);
await does('save', async () => { const item = await Item.findOne({ where: { shopId: shops[3].id, sku: 'sku 0' } }); item.price = '99.99'; await item.save(); return (await item.reload()).price; });
await does('upsert', async () => { await Item.upsert({ shopId: shops[3].id, sku: 'sku 0', price: 1 }); await Item.upsert({ shopId: shops[3].id, sku: 'new', price: 2 }); return await Item.count({ where: { shopId: shops[3].id } }); });
await does('find or create', async () => [(await Item.findOrCreate({ where: { shopId: shops[4].id, sku: 'sku 0' } }))[1], (await Item.findOrCreate({ where: { shopId: shops[4].id, sku: 'found' }, defaults: { price: 3 } }))[1]]);
await does('find or create by name', async () => {
  const made = await Shop.findOrCreate({ where: { name: "shop of Ann's" }, defaults: { open: false } });
  const there = await Shop.findOrCreate({ where: { name: "shop of Ann's" } });
  const color = [(await Color.findOrCreate({ where: { name: 'red' } }))[1]];
  await made[0].destroy();
  return [made[1], made[0].id > 0, made[0].open, there[1], there[0].id === made[0].id, color];
});
await does('find or create twice', async () => {
  const where = { shopId: shops[4].id, sku: 'raced' };
  return (await Promise.all([1, 2, 3].map((price) => Item.findOrCreate({ where, defaults: { price } })))).filter(([, made]) => made).length;
});
await Item.destroy({ where: { sku: ['new', 'found', 'raced'] } });
await does('transaction', async () => await sequelize.transaction(async (transaction) => {
  for (const shop of shops) await Shop.update({ name: `${shop.name}!` }, { where: { id: shop.id }, transaction });
  await Item.destroy({ where: { shopId: shops[0].id, sku: 'more' }, transaction });
  return (await Shop.findAll({ order: ['name'], transaction })).map((shop) => shop.name);
}));
await does('rolled back', async () => sequelize.transaction(async (transaction) => {
  await Shop.update({ open: false }, { where: {}, transaction });
  throw new Error('on purpose');
}));
await does('locked', async () => sequelize.transaction(async (transaction) => (await Item.findOne({ where: { shopId: shops[2].id, sku: 'sku 2' }, lock: transaction.LOCK.UPDATE, transaction })).price));
await does('open', async () => await Shop.count({ where: { open: true } }));
await does('raw', async () => await sequelize.query('SELECT sku, price FROM node_item WHERE "shopId" = $1 ORDER BY sku', { bind: [shops[1].id], type: 'SELECT' }));
await does('replaced', async () => await sequelize.query('SELECT count(*) FROM node_item WHERE sku IN (:skus)', { replacements: { skus: ['sku 0', 'sku 1'] }, type: 'SELECT' }));
await does('destroy', async () => [await Item.destroy({ where: { sku: 'sku 1' } }), await Shop.destroy({ where: { id: shops[4].id } }), await Item.count()]);
await sequelize.close();

const pool = new pg.Pool({ connectionString: url, max: 4 });
await does('pg', async () => (await pool.query('SELECT name FROM node_shop WHERE id = $1', [shops[0].id])).rows);
await does('pg named', async () => {
  const ask = (id) => pool.query({ name: 'by id', text: 'SELECT sku, price FROM node_item WHERE "shopId" = $1 ORDER BY sku', values: [id] });
  return (await Promise.all(shops.map((shop) => ask(shop.id)))).map((result) => [result.rowCount, result.fields.map((field) => field.dataTypeID)]);
});
await does('pg arrays', async () => (await pool.query('SELECT name FROM node_shop WHERE id = ANY($1) ORDER BY name', [shops.map((shop) => shop.id)])).rows.length);
await does('pg rows', async () => (await pool.query({ text: 'SELECT sku, count(*) FROM node_item GROUP BY sku ORDER BY sku', rowMode: 'array' })).rows);
await does('pg transaction', async () => {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    for (const shop of shops.slice(0, 3)) await client.query('UPDATE node_item SET stock = stock - 1 WHERE "shopId" = $1', [shop.id]);
    const inside = await client.query('SELECT sum(stock) FROM node_item');
    await client.query('ROLLBACK');
    return [inside.rows, (await client.query('SELECT sum(stock) FROM node_item')).rows];
  } finally {
    client.release();
  }
});
await does('pg error', async () => pool.query('SELECT * FROM node_item WHERE nothing = 1'));
await does('pg insert', async () => (await pool.query('INSERT INTO node_item ("shopId", sku, price, stock, "createdAt", "updatedAt") SELECT $1, $2, $3, 1, now(), now() RETURNING sku, price', [shops[0].id, 'x', '2.5'])).rows);
await does('pg several', async () => (await pool.query(`INSERT INTO node_color VALUES ('green'); SELECT count(*) FROM node_color`)).map((result) => result.rows));
await pool.end();
