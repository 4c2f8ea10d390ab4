package cluster

// backlog would be how many connections wait in the kernel. macOS does not tell.
func backlog(int) int { return 0 }
