package main

import "syscall"

// childAttributes keeps the terminal's Ctrl-C from the children, which get ours, and lets none outlive us.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
