// Stands for CuPy's additions by many threads at once, of which vitnp has none
