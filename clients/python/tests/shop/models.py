"""What the shop sells."""

from django.db import models


class Order(models.Model):
    """An order."""

    customer = models.TextField()
    receipts = models.IntegerField(default=0)

    class Meta:
        app_label = "shop"
