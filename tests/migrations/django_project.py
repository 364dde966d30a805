"""A Django project of its own: migrate, a changed model and its migration, and the ORM on what they made.

Usage: django_project.py URL DIRECTORY. Runs manage.py as a developer would, each command in a process of its own.
"""

import os
import pathlib
import subprocess
import sys
import textwrap
from urllib.parse import urlparse

URL, DIRECTORY = urlparse(sys.argv[1]), pathlib.Path(sys.argv[2])

SETTINGS = f"""
SECRET_KEY = "tests"
DEBUG = False
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.admin",
                  "django.contrib.messages", "shop"]
TEMPLATES = [{{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {{"context_processors": [
    "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages"]}}}}]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware",
              "django.contrib.auth.middleware.AuthenticationMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": "{URL.path[1:]}", "USER": "{URL.username}",
    "PASSWORD": "{URL.password}", "HOST": "{URL.hostname}", "PORT": "{URL.port}", "DISABLE_SERVER_SIDE_CURSORS": True}}}}
"""

MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""

FIRST = """
from django.db import models

class Country(models.Model):
    code = models.CharField(max_length=2, primary_key=True)
    name = models.CharField(max_length=50, unique=True)

class Customer(models.Model):
    name = models.CharField(max_length=50, db_index=True)
    country = models.ForeignKey(Country, null=True, on_delete=models.SET_NULL)

class Order(models.Model):
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="orders")
    total = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    placed = models.DateTimeField(auto_now_add=True)

class Note(models.Model):
    text = models.TextField(default="")
    slug = models.SlugField(unique=True)
"""

SECOND = FIRST.replace(
    '    country = models.ForeignKey(Country, null=True, on_delete=models.SET_NULL)\n',
    '    country = models.ForeignKey(Country, null=True, on_delete=models.SET_NULL)\n'
    '    email = models.EmailField(default="nobody@example.com", db_index=True)\n'
    '    full_name = models.CharField(max_length=120, blank=True, default="")\n',
).replace(
    '    placed = models.DateTimeField(auto_now_add=True)\n',
    '    placed = models.DateTimeField(auto_now_add=True)\n'
    '    ship_to = models.ForeignKey(Country, null=True, on_delete=models.SET_NULL)\n'
    '    class Meta:\n'
    '        indexes = [models.Index(fields=["customer", "placed"], name="order_by_customer")]\n'
    '        constraints = [models.CheckConstraint(condition=models.Q(total__gte=0), name="total_not_negative"),\n'
    '                       models.UniqueConstraint(fields=["customer", "placed"], name="one_at_a_time")]\n',
).replace('text = models.TextField(default="")', "body = models.CharField(max_length=500, default='')")

DATA_MIGRATION = """
from django.db import migrations

def fill(apps, schema_editor):
    Customer = apps.get_model("shop", "Customer")
    for number in range(4):
        Customer.objects.create(name=f"migrated {number}", full_name="by a migration")

class Migration(migrations.Migration):
    dependencies = [("shop", "0002_second")]
    operations = [migrations.RunSQL("CREATE INDEX by_full_name ON shop_customer (full_name); COMMENT ON TABLE shop_note IS 'notes'",
                                    "DROP INDEX by_full_name"),
                  migrations.RunPython(fill, migrations.RunPython.noop)]
"""

CHECKS = """
import django
django.setup()
from decimal import Decimal
from django.db import IntegrityError, connection, transaction
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from shop.models import Country, Customer, Note, Order

assert ContentType.objects.filter(app_label="shop").count() == 4
assert Customer.objects.filter(name="migrated 1").get().full_name == "by a migration"

customers = [Customer.objects.create(name=f"customer {n}") for n in range(12)]
assert len({c.pk for c in customers}) == 12, [c.pk for c in customers]
for customer in customers:
    for n in range(3):
        Order.objects.create(customer=customer, total=Decimal(n))
ids = [order.pk for customer in customers for order in customer.orders.all()]
assert len(set(ids)) == len(ids) == 36, ids

first = customers[0]
assert Customer.objects.get(pk=first.pk) == first
assert first.orders.count() == 3
assert [o.total for o in first.orders.order_by("-total")] == [2, 1, 0]
assert Order.objects.select_related("customer").filter(customer=first).first().customer.name == "customer 0"
assert Order.objects.filter(customer_id=first.pk, total__gt=0).update(total=5) == 2
first.name = "renamed"
first.save()
assert Customer.objects.get(pk=first.pk).name == "renamed"

try:
    with transaction.atomic():
        Order.objects.create(customer_id=first.pk, total=-1)
    raise AssertionError("the check constraint is missing")
except IntegrityError as error:
    assert "total_not_negative" in str(error), error
try:
    with transaction.atomic():
        Order.objects.create(customer_id=987654321)
        connection.check_constraints()
    raise AssertionError("the foreign key is missing")
except IntegrityError as error:
    assert "shop_order_customer_id" in str(error), error

with transaction.atomic():
    a = Customer.objects.create(name="both")
    b = Customer.objects.create(name="or none")
    Order.objects.create(customer=a)
    Order.objects.create(customer=b)
    Note.objects.create(body="n", slug="both")
assert Customer.objects.filter(pk__in=[a.pk, b.pk]).count() == 2
try:
    with transaction.atomic():
        c = Customer.objects.create(name="rolled back")
        Note.objects.create(body="n", slug="both")
    raise AssertionError("the slug is there twice")
except IntegrityError:
    pass
assert not Customer.objects.filter(pk=c.pk).exists()

first.delete()
assert not Customer.objects.filter(pk=first.pk).exists()
assert Order.objects.filter(customer_id=first.pk).count() == 0

User.objects.create_superuser("root", "root@example.com", "secret")
assert User.objects.get(username="root").check_password("secret")
print("ok")
"""


def write(path, text):
    path = DIRECTORY / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))


def run(*arguments):
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(DIRECTORY)}
    done = subprocess.run([sys.executable, "-B", *arguments], cwd=DIRECTORY, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


write("settings.py", SETTINGS)
write("manage.py", MANAGE)
write("checks.py", CHECKS)
write("shop/__init__.py", "")
write("shop/migrations/__init__.py", "")
write("shop/models.py", FIRST)
run("manage.py", "makemigrations", "shop", "--name", "first")
run("manage.py", "migrate", "--verbosity", "0")
write("shop/models.py", SECOND)
# A question that would be asked of the developer: the note's text became its body.
run("manage.py", "makemigrations", "shop", "--name", "second", "--no-input")
run("manage.py", "migrate", "--verbosity", "0")
write("shop/migrations/0003_data.py", DATA_MIGRATION)
run("manage.py", "migrate", "--verbosity", "0")
assert "No changes detected" in run("manage.py", "makemigrations", "--check", "--dry-run")
assert "[X] 0003_data" in run("manage.py", "showmigrations", "shop")
print(run("checks.py"))
run("manage.py", "migrate", "shop", "0002", "--verbosity", "0")
run("manage.py", "migrate", "shop", "0001", "--verbosity", "0")
run("manage.py", "migrate", "shop", "zero", "--verbosity", "0")
print("migrated back")
