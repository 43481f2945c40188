"""The tables that `benchmarks.data` makes, as a Django app would see them."""

from django.db import models


class Customer(models.Model):
    """Somebody who orders."""

    id = models.IntegerField(primary_key=True)
    name = models.TextField()
    email = models.TextField(unique=True)

    class Meta:
        """The table is there already."""

        managed = False
        db_table = "customers"


class Order(models.Model):
    """What somebody ordered."""

    id = models.IntegerField(primary_key=True)
    customer = models.ForeignKey(Customer, models.PROTECT)
    total = models.DecimalField(max_digits=10, decimal_places=2)
    ordered_at = models.DateTimeField()
    status = models.TextField()
    note = models.TextField(null=True)  # noqa: DJ001 - the column holds NULL
    weight = models.FloatField()
    details = models.JSONField()

    class Meta:
        """The table is there already."""

        managed = False
        db_table = "orders"
