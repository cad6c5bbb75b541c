"""GNU nano as a replay uses it, drawn as nano 7.2 draws itself under the settings of benchmarks/oracle/film.nanorc."""
