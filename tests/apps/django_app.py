"""A Django project: models, migrations, what views and the admin ask. Usage: django_app.py URL DIRECTORY.

Prints one line for each thing that it does, without ids and times: the same on one PostgreSQL and on several shards.
"""

import pathlib
import sys
from urllib.parse import urlparse

URL, DIRECTORY = urlparse(sys.argv[1]), pathlib.Path(sys.argv[2])

MODELS = '''
from django.db import models

class Plan(models.Model):
    name = models.CharField(max_length=20, unique=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    def __str__(self): return self.name

class Tag(models.Model):
    name = models.CharField(max_length=20, unique=True)
    def __str__(self): return self.name

class Tenant(models.Model):
    name = models.CharField(max_length=50, db_index=True)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT)
    active = models.BooleanField(default=True)
    def __str__(self): return self.name

class Member(models.Model):
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="members")
    email = models.EmailField()
    role = models.CharField(max_length=10, default="user")
    class Meta: unique_together = [("tenant", "email")]
    def __str__(self): return self.email

class Project(models.Model):
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="projects")
    name = models.CharField(max_length=50)
    settings = models.JSONField(default=dict)
    def __str__(self): return self.name

class Task(models.Model):
    STATES = [("open", "Open"), ("done", "Done")]
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tasks", db_constraint=False)
    assignee = models.ForeignKey(Member, null=True, on_delete=models.SET_NULL, related_name="tasks", db_constraint=False)
    tags = models.ManyToManyField(Tag, through="TaskTag")
    title = models.CharField(max_length=80)
    state = models.CharField(max_length=10, choices=STATES, default="open")
    priority = models.IntegerField(default=0)
    hours = models.DecimalField(max_digits=6, decimal_places=2, default=0)
    due = models.DateField(null=True)
    created = models.DateTimeField(auto_now_add=True)
    class Meta: ordering = ["title"]
    def __str__(self): return self.title

class TaskTag(models.Model):
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, db_constraint=False)
    tag = models.ForeignKey(Tag, on_delete=models.CASCADE)

class Notice(models.Model):
    text = models.TextField()
    read = models.BooleanField(default=False)
'''

ADMIN = '''
from django.contrib import admin
from shop.models import *

@admin.register(Task)
class TaskAdmin(admin.ModelAdmin):
    list_display = ["title", "state", "priority", "tenant", "assignee"]
    list_filter = ["state", "tenant", "due"]
    search_fields = ["title", "project__name"]
    date_hierarchy = "due"
    list_select_related = ["tenant", "assignee"]
    list_per_page = 10
    raw_id_fields = ["project", "assignee"]

admin.site.register([Plan, Tag, Tenant, Member, Project, Notice])
'''

URLS = '''
from django.contrib import admin
from django.urls import path
urlpatterns = [path("admin/", admin.site.urls)]
'''

(DIRECTORY / "shop").mkdir(parents=True, exist_ok=True)
(DIRECTORY / "shop/__init__.py").write_text("")
(DIRECTORY / "shop/models.py").write_text(MODELS)
(DIRECTORY / "shop/admin.py").write_text(ADMIN)
(DIRECTORY / "urls.py").write_text(URLS)
sys.path.insert(0, str(DIRECTORY))

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="tests", USE_TZ=True, ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"], DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.admin",
                    "django.contrib.messages", "shop"],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages"]}}],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": URL.path[1:], "USER": URL.username,
                           "PASSWORD": URL.password, "HOST": URL.hostname, "PORT": URL.port}},
)
django.setup()

from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import *
from django.db.models.functions import *

call_command("makemigrations", "shop", verbosity=0)
call_command("migrate", verbosity=0)

from shop.models import *


def does(what, action):
    """Prints what comes of it; queries are evaluated here."""
    try:
        result = action()
        print(f"{what}: {list(result) if isinstance(result, QuerySet) else result!r}")
    except Exception as error:
        cause = error.__cause__ or error
        print(f"{what}: {type(error).__name__} {getattr(cause, 'sqlstate', None)} {str(cause).splitlines()[0]}")


def seed():
    free, paid = Plan.objects.bulk_create([Plan(name="free", price=0), Plan(name="paid", price="9.50")])
    tags = Tag.objects.bulk_create([Tag(name=name) for name in ["bug", "idea", "later"]])
    tenants = Tenant.objects.bulk_create([Tenant(name=f"tenant {n}", plan=[free, paid][n % 2]) for n in range(8)])
    for number, tenant in enumerate(tenants):
        members = Member.objects.bulk_create(
            [Member(tenant=tenant, email=f"m{m}@t{number}.example", role=["user", "admin"][m % 2]) for m in range(3)])
        projects = Project.objects.bulk_create(
            [Project(tenant=tenant, name=f"project {p} of {number}", settings={"color": ["red", "blue"][p], "n": p}) for p in range(2)])
        tasks = Task.objects.bulk_create(
            [Task(tenant=tenant, project=projects[t % 2], assignee=members[t % 4] if t % 4 < 3 else None,
                  title=f"task {t} of {number}", priority=t * number % 5, hours=f"{t}.25", state=["open", "done"][t % 3 == 0],
                  due=f"2026-0{1 + t % 6}-15" if t % 2 else None) for t in range(6)])
        TaskTag.objects.bulk_create([TaskTag(tenant=tenant, task=task, tag=tags[t % 3]) for t, task in enumerate(tasks)])
    return Task.objects.count(), Member.objects.count(), TaskTag.objects.count()


does("seed", seed)
one, two = Tenant.objects.get(name="tenant 1"), Tenant.objects.get(name="tenant 2")

# Lists and filters.
does("list of a tenant", lambda: Task.objects.filter(tenant=one, state="open").order_by("-priority", "title")[:4].values_list("title", "priority"))
does("list over all", lambda: Task.objects.filter(priority__gte=3).order_by("-priority", "title").values_list("title", "priority")[:7])
does("page", lambda: list(Task.objects.order_by("title").values_list("title", flat=True)[10:15]))
does("exclude and in", lambda: Task.objects.exclude(state="done").filter(tenant__in=[one, two]).order_by("title").values_list("title", flat=True))
does("q", lambda: Task.objects.filter(Q(title__icontains="5 OF 3") | Q(priority=4, state="done")).order_by("title").values_list("title", flat=True))
does("join filter", lambda: Task.objects.filter(project__name__startswith="project 1", tenant=two).values_list("title", flat=True))
does("join filter over all", lambda: Task.objects.filter(tenant__plan__name="paid", assignee__role="admin", priority__gt=1).values_list("title", "tenant__name"))
does("distinct", lambda: list(Task.objects.order_by("state").values_list("state", flat=True).distinct()))
does("distinct on", lambda: list(Task.objects.order_by("priority", "title").distinct("priority").values_list("priority", "title")))
does("dates", lambda: Task.objects.dates("due", "month"))
does("get of a name", lambda: Member.objects.get(tenant=one, email="m1@t1.example").role)
does("exists", lambda: (Task.objects.filter(title="task 0 of 3").exists(), Task.objects.filter(title="no").exists()))
does("first and last", lambda: (Task.objects.first().title, Task.objects.last().title, Tenant.objects.order_by("name").first().name))
does("get missing", lambda: Task.objects.get(title="no"))
does("json", lambda: Project.objects.filter(settings__color="red", settings__n=0).order_by("name").values_list("name", flat=True))
does("iterator", lambda: [task.title for task in Task.objects.order_by("title").iterator(chunk_size=10)][::9])
does("iterator of a tenant", lambda: [task.title for task in Task.objects.filter(tenant=one).iterator(chunk_size=2)])
does("in_bulk", lambda: sorted(Plan.objects.in_bulk(["free", "paid"], field_name="name")))

# Aggregates.
does("count", lambda: (Task.objects.count(), Task.objects.filter(tenant=one).count(), Tag.objects.count(), Notice.objects.count()))
does("aggregate", lambda: sorted(Task.objects.aggregate(Sum("hours"), Avg("priority"), Max("hours"), Min("title"), n=Count("assignee")).items()))
does("aggregate of a tenant", lambda: sorted(Task.objects.filter(tenant=two).aggregate(Sum("hours"), Avg("hours"), StdDev("priority")).items()))
does("count distinct", lambda: Task.objects.aggregate(n=Count("priority", distinct=True)))
does("group", lambda: Task.objects.order_by("state").values("state").annotate(n=Count("id"), hours=Sum("hours")))
does("group by month", lambda: Task.objects.filter(due__isnull=False).annotate(month=TruncMonth("due")).values("month").annotate(n=Count("id")).order_by("month"))
does("annotate children", lambda: Tenant.objects.annotate(n=Count("projects")).order_by("name").values_list("name", "n"))
does("annotate filtered", lambda: Tenant.objects.annotate(n=Count("task", filter=Q(task__state="open")), h=Sum("task__hours")).filter(n__gt=3).order_by("name").values_list("name", "n", "h"))
does("annotate two", lambda: Tenant.objects.annotate(p=Count("projects", distinct=True), m=Count("members", distinct=True)).order_by("name").values_list("name", "p", "m")[:3])
does("annotate plan", lambda: Plan.objects.annotate(n=Count("tenant")).order_by("name").values_list("name", "n"))
does("having", lambda: Task.objects.values("priority").annotate(n=Count("id")).filter(n__gt=6).order_by("priority"))
does("case", lambda: Task.objects.aggregate(late=Count(Case(When(due__lt="2026-04-01", state="open", then=1)))))
does("exists subquery", lambda: Tenant.objects.filter(Exists(Task.objects.filter(tenant=OuterRef("pk"), priority=4))).order_by("name").values_list("name", flat=True))
does("subquery", lambda: Tenant.objects.annotate(top=Subquery(Task.objects.filter(tenant=OuterRef("pk")).order_by("-priority", "title").values("title")[:1])).order_by("name").values_list("name", "top"))
does("in subquery", lambda: Member.objects.filter(pk__in=Task.objects.filter(priority=3).values("assignee")).order_by("email").values_list("email", flat=True))
does("window", lambda: Task.objects.filter(tenant=two).annotate(rank=Window(Rank(), partition_by="state", order_by=F("hours").desc())).order_by("state", "rank").values_list("title", "rank"))
does("window over all", lambda: Task.objects.annotate(n=Window(RowNumber(), order_by=[F("priority").desc(), F("title").asc()])).order_by("n").values_list("title", "n")[:5])
does("union", lambda: list(Task.objects.filter(tenant=one, priority=0).values_list("title").union(Task.objects.filter(tenant=two, priority=0).values_list("title")).order_by("title")))
does("functions", lambda: Task.objects.filter(tenant=one).annotate(up=Upper("title"), size=Length("title"), y=ExtractYear("due")).order_by("title").values_list("up", "size", "y")[:2])

# Related rows.
does("select_related", lambda: [(t.title, t.project.name, t.assignee and t.assignee.email) for t in Task.objects.filter(tenant=one).select_related("project", "assignee", "tenant__plan")])
does("select_related over all", lambda: [(t.title, t.project.name, t.tenant.plan.name) for t in Task.objects.filter(priority=4).select_related("project", "tenant__plan")])
does("prefetch", lambda: [(p.name, [t.title for t in p.tasks.all()]) for p in Project.objects.filter(tenant=two).order_by("name").prefetch_related("tasks")])
does("prefetch many", lambda: [(t.title, sorted(tag.name for tag in t.tags.all())) for t in Task.objects.filter(tenant=two).prefetch_related("tags")])
does("prefetch over all", lambda: [(t.name, len(t.members.all()), sum(len(p.tasks.all()) for p in t.projects.all())) for t in Tenant.objects.order_by("name").prefetch_related("members", Prefetch("projects", Project.objects.prefetch_related("tasks")))])
does("many to many filter", lambda: Task.objects.filter(tags__name="idea", tenant=one).values_list("title", flat=True))
does("many to many over all", lambda: Tag.objects.annotate(n=Count("task")).order_by("name").values_list("name", "n"))
does("reverse", lambda: [m.email for m in one.members.order_by("email")])

# Writes.
does("update of a tenant", lambda: Task.objects.filter(tenant=one, state="open").update(priority=F("priority") + 1))
does("update over all", lambda: Task.objects.filter(priority=0).update(hours=F("hours") * 2, state="done"))
does("hours after", lambda: Task.objects.aggregate(Sum("hours")))
does("save", lambda: (lambda task: (setattr(task, "title", "renamed"), task.save(), Task.objects.get(pk=task.pk).title))(Task.objects.filter(tenant=one).first())[2])
does("save fields", lambda: (lambda task: (setattr(task, "priority", 9), task.save(update_fields=["priority"]), task.refresh_from_db(), task.priority))(Task.objects.filter(tenant=two).first())[3])
does("bulk_update", lambda: (lambda tasks: ([setattr(t, "priority", 7) for t in tasks], Task.objects.bulk_update(tasks, ["priority"])))(list(Task.objects.filter(title__startswith="task 1")))[1])
does("get_or_create", lambda: [Member.objects.get_or_create(tenant=one, email=email, defaults={"role": "new"})[1] for email in ["m0@t1.example", "new@t1.example"]])
does("update_or_create", lambda: [Member.objects.update_or_create(tenant=one, email=email, defaults={"role": "chief"})[1] for email in ["m0@t1.example", "newer@t1.example"]])
does("roles", lambda: one.members.order_by("email").values_list("email", "role"))
does("bulk_create ignoring", lambda: len(Member.objects.bulk_create([Member(tenant=t, email="m0@t2.example") for t in [one, two]], ignore_conflicts=True)))
does("bulk_create updating", lambda: len(Member.objects.bulk_create([Member(tenant=t, email="m0@t2.example", role="again") for t in [one, two]], update_conflicts=True, unique_fields=["tenant", "email"], update_fields=["role"])))
does("after it", lambda: Member.objects.filter(email="m0@t2.example").order_by("tenant__name").values_list("tenant__name", "role"))
does("unique", lambda: Member.objects.create(tenant=one, email="m1@t1.example"))
does("protected", lambda: Plan.objects.get(name="free").delete())
does("reference update", lambda: Plan.objects.filter(name="paid").update(price="10.00"))
does("reference after", lambda: list(Tenant.objects.filter(plan__price=10).order_by("name").values_list("name", flat=True)))
does("notice", lambda: (Notice.objects.create(text="x"), Notice.objects.filter(read=False).update(read=True))[1])
does("home and sharded", lambda: Tenant.objects.filter(name__in=Notice.objects.values("text")).count())
does("member deleted", lambda: (Member.objects.get(tenant=two, email="m0@t2.example").delete(), Task.objects.filter(tenant=two, assignee=None).count()))
does("project deleted", lambda: (Project.objects.get(tenant=one, name="project 0 of 1").delete(), Task.objects.filter(tenant=one).count()))
does("tenant deleted", lambda: (Tenant.objects.get(name="tenant 5").delete(), Task.objects.count(), TaskTag.objects.count()))
does("queryset deleted", lambda: (Task.objects.filter(priority=7, tenant=two).delete(), Task.objects.filter(state="done", priority__lt=2).delete(), Task.objects.count()))
does("raw delete", lambda: Notice.objects.all().delete())

# Transactions.


def nested():
    with transaction.atomic():
        Task.objects.filter(tenant=one).update(priority=100)
        try:
            with transaction.atomic():
                Member.objects.create(tenant=one, email="m1@t1.example")
        except IntegrityError:
            pass
        Task.objects.filter(tenant=two).update(priority=100)
    return Task.objects.filter(priority=100).values_list("tenant__name", flat=True).distinct().order_by("tenant__name")


def rolled_back():
    try:
        with transaction.atomic():
            Tenant.objects.all().update(active=False)
            Plan.objects.create(name="gone", price=1)
            raise KeyError
    except KeyError:
        pass
    return Tenant.objects.filter(active=False).count(), Plan.objects.filter(name="gone").exists()


def locked():
    with transaction.atomic():
        task = Task.objects.select_for_update().filter(tenant=one).first()
        task.priority += 1
        task.save()
    task.refresh_from_db()
    return task.priority


def locked_join():
    with transaction.atomic():
        return list(Task.objects.select_for_update(of=("self",)).filter(tenant=two).select_related("tenant").order_by("title").values_list("title", flat=True)[:2])


does("nested", nested)
does("rolled back", rolled_back)
does("locked", locked)
does("locked with a join", locked_join)
does("on commit", lambda: (lambda seen: (transaction.on_commit(lambda: seen.append(1)), seen))([])[1])


def raw():
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, count(*) FROM shop_tenant t JOIN shop_task k ON k.tenant_id = t.id WHERE t.id = %s GROUP BY name", [two.pk])
        first = cursor.fetchall()
        cursor.execute("SELECT state, sum(hours) FROM shop_task GROUP BY state ORDER BY state")
        return first, cursor.fetchall(), [column.name for column in cursor.description]


does("raw", raw)
does("raw queryset", lambda: [t.name for t in Tenant.objects.raw("SELECT * FROM shop_tenant WHERE id = %s", [one.pk])])
does("explain", lambda: bool(Task.objects.filter(tenant=one).explain()))

# The admin.
from django.contrib.auth.models import User
from django.test import Client

User.objects.create_superuser("root", "root@example.com", "secret")
client = Client()


def page(path, data=None):
    response = client.post(path, data) if data else client.get(path)
    text = response.content.decode()
    results = response.context and response.context.get("cl")
    return response.status_code, results and (results.result_count, results.full_result_count, [str(one) for one in results.result_list]), "errornote" in text


does("admin login", lambda: page("/admin/login/", {"username": "root", "password": "secret", "next": "/admin/"}))
does("admin index", lambda: page("/admin/"))
does("admin list", lambda: page("/admin/shop/task/"))
does("admin filter", lambda: page(f"/admin/shop/task/?state__exact=open&tenant__id__exact={one.pk}"))
does("admin search", lambda: page("/admin/shop/task/?q=project+1+of+3"))
does("admin dates", lambda: page("/admin/shop/task/?due__year=2026&due__month=4"))
does("admin sort", lambda: page("/admin/shop/task/?o=-3.1"))
does("admin add", lambda: page("/admin/shop/tenant/add/", {"name": "by hand", "plan": Plan.objects.get(name="free").pk, "active": "on"}))
made = Tenant.objects.filter(name="by hand").first()
does("admin change", lambda: page(f"/admin/shop/tenant/{made.pk}/change/", {"name": "by hand 2", "plan": Plan.objects.get(name="paid").pk}))
does("admin history", lambda: page(f"/admin/shop/tenant/{made.pk}/history/"))
does("admin delete", lambda: page(f"/admin/shop/tenant/{two.pk}/delete/", {"post": "yes"}))
does("admin action", lambda: page("/admin/shop/task/", {"action": "delete_selected", "_selected_action": [task.pk for task in Task.objects.filter(tenant=one)], "post": "yes"}))
does("left", lambda: (Tenant.objects.count(), Task.objects.count(), Member.objects.count(), Project.objects.count(), TaskTag.objects.count()))
