package main

// goroutines measures how many microseconds a value takes to another goroutine and back, over two
// Go channels: what a round trip costs without processes.
func goroutines([]string) (float64, error) {
	to, back := make(chan number), make(chan number)
	defer close(to)
	go func() {
		for n := range to {
			back <- n
		}
	}()
	rate, err := callsPerSecond(1, func() error {
		to <- number{1}
		<-back
		return nil
	})
	return 1e6 / rate, err
}
