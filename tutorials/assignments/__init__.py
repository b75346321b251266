"""The course: tasks cut from the library, and a checker that names the mistake.

    python -m tutorials.assignments start 05-layernorm --into my_work
    python -m tutorials.assignments check my_work
"""
