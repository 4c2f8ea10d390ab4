package main

import (
	"testing"

	"playing-with-processes/internal/clitest"
)

const name = "02-four-spawn-methods"

func TestMain(m *testing.M) { clitest.Main(m, main) }
