module playing-with-processes/bench

go 1.26.0

replace playing-with-processes => ../

require (
	github.com/valyala/fasthttp v1.78.0
	golang.org/x/sys v0.49.0
	playing-with-processes v0.0.0
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/molecule-man/go-brrr v1.3.1 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
)
