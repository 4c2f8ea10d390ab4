module playing-with-processes/bench

go 1.26.0

replace playing-with-processes => ../

require (
	golang.org/x/sys v0.49.0
	playing-with-processes v0.0.0
)

require github.com/go-json-experiment/json v1.27.2 // indirect
