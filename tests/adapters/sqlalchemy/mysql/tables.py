"""The two tables that most tests of MariaDB and MySQL use."""

from databackup.schema import Collection, Schema

A = Collection("a", fields={"id": int, "v": str | None}, key="id")
LOOSE = Collection("loose", fields={"v": int})
SCHEMA = Schema(collections=[A, LOOSE])
MADE = (
    "CREATE TABLE a (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20) UNIQUE) ENGINE=InnoDB",
    "CREATE TABLE loose (v INT) ENGINE=InnoDB",
)
SETTINGS = (
    "SELECT @@time_zone, @@sql_mode, @@foreign_key_checks, @@unique_checks, @@sql_notes, "
    "@@sql_select_limit, @@sql_safe_updates, @@innodb_lock_wait_timeout, @@lock_wait_timeout, "
    "@@max_sort_length, @@check_constraint_checks, @@tx_isolation, @@autocommit"
)
