package main

// notes are said below a row, by its English title: why it misses its goal, and what was tried.
var notes = map[string]text{}
