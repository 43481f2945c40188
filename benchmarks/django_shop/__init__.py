"""The shop as a Django app, for dumpdata and loaddata."""
