//go:build !linux

package main

import "errors"

// Elsewhere than on Linux only the channel is measured.
var errLinux = errors.New("only Linux has this measurement")

func floor([]string) (float64, error)    { return 0, errLinux }
func requests([]string) (float64, error) { return 0, errLinux }
func even([]string) (float64, error)     { return 0, errLinux }
func replace([]string) (float64, error)  { return 0, errLinux }
func kills([]string) (float64, error)    { return 0, errLinux }
func memory([]string) (float64, error)   { return 0, errLinux }
func floorChild([]string) error          { return errLinux }
