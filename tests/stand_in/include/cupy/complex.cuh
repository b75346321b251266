// Stands for CuPy's complex numbers, of which vitnp has none
#pragma once
template <typename T> struct complex;
