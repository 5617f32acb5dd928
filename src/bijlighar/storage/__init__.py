"""SQL engine, transactions, migrations, packed columns, the mechanics of jobs and inbox: no business word."""
