//go:build unix && !linux

package main

import "syscall"

// childAttributes keeps the terminal's Ctrl-C from the children, which get ours.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
