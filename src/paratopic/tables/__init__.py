"""Rows in and out of CSV, Excel, JSON lines and Parquet."""
