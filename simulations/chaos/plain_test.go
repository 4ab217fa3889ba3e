package chaos

// plainMain says whether this process was run as another program.
func plainMain() bool { return false }
