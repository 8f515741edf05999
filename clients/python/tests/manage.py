"""`manage.py` of the tests' project; the database is in TEST_DSN."""

import os
import sys

from django.core.management import execute_from_command_line

from tests.django_project import set_up

set_up(os.environ["TEST_DSN"])
execute_from_command_line(sys.argv)
