"""As little as dumpdata and loaddata need."""

import os

INSTALLED_APPS = ["benchmarks.django_shop"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["BENCHMARK_DATABASE"],
    }
}
USE_TZ = True
DEBUG = False
