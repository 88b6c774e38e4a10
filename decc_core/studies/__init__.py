"""Studies: many networks under many conditions in one table, on all cores or on a Dask cluster."""
