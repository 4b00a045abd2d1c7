"""Checks of tables against contracts, with the same code for all kinds of tables.

The steps of :func:`sparksig.check`:

1. ``check.open_table`` opens it as a ``SparkTable``; a path becomes a ``ParquetTable`` with the same methods.
2. ``contract.resolve_contract`` resolves the contract: a model's or a table's, with its options.
3. ``types.judge_types`` judges the columns, and ``compare_files`` the files of a Parquet table.
4. ``rules`` builds value rules for the columns whose types fit: each is a finding, steps, and a condition.
5. ``mode="full"``: ``run`` applies the rules to all rows. ``sql`` compiles them to one aggregation of Spark;
   ``arrow`` compiles them to kernels, for the batches of Parquet files.
6. ``mode="sample"``: ``sample`` reads some rows, and ``arrow`` applies the rules to them.
7. ``check.report_outcome`` adds counts and examples to the report, in the contract's order.

``split``, ``violations`` and ``write`` use the same rules; ``infer`` uses the same samples.
"""
