"""What runs, when and over which days: the Dagster definitions, the `cx` program and the pure code below them."""
