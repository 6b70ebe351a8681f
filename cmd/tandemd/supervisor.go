package main

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// tellSupervisor sends a state to who started the daemon with Type=notify (sd_notify(3)); it does
// nothing if nobody wants to know.
func tellSupervisor(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", name)
	if err != nil {
		return fmt.Errorf("tell supervisor: %w", err)
	}
	_, err = conn.Write([]byte(state))
	return errors.Join(err, conn.Close())
}
