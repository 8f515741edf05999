"""Tests of the Python client, against real programs and a real Postgres."""
