package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Further socket options of linux/ip_vs.h, and the lengths of what they take and give.
const (
	ipvsAdd            = ipvsBase + 2
	ipvsAddDestination = ipvsBase + 7
	ipvsInfo           = ipvsBase + 1
	ipvsServices       = ipvsBase + 2
	ipvsDestinations   = ipvsBase + 4

	serviceLength, serviceEntry         = 44, 104 // struct ip_vs_service_user, ip_vs_service_entry
	destinationLength, destinationEntry = 24, 96  // struct ip_vs_dest_user, ip_vs_dest_entry
	servicesHeader, destinationsHeader  = 8, 24
)

// VirtualServices is an IPVS table of IPv4 at one moment, as it can be set again.
type VirtualServices []virtualService

// virtualService is one service with its destinations, as the kernel has them.
type virtualService struct {
	service      [serviceLength]byte
	destinations [][destinationLength]byte
}

// VirtualServices returns the node's virtual services of IPv4. On a kernel without IPVS it is an
// error.
//
// Equivalent to: `ipvsadm -S -n`.
func (n *Node) VirtualServices(ctx context.Context) (VirtualServices, error) {
	var all VirtualServices
	err := n.withIPVS(ctx, func(fd int) (err error) {
		all, err = listServices(fd)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list virtual services of %s: %w", n, err)
	}
	return all, nil
}

// FlushVirtualServices deletes all virtual services of the node and nothing else of IPVS's.
//
// Equivalent to: `ipvsadm -C`.
func (n *Node) FlushVirtualServices(ctx context.Context) error {
	err := n.withIPVS(ctx, func(fd int) error {
		return unix.SetsockoptString(fd, unix.IPPROTO_IP, ipvsFlush, "")
	})
	if err != nil {
		return fmt.Errorf("flush virtual services of %s: %w", n, err)
	}
	return nil
}

// AddVirtualServices adds virtual services and destinations to those that the node has. What is there
// already stays as it is.
//
// Equivalent to: `ipvsadm -R`.
func (n *Node) AddVirtualServices(ctx context.Context, all VirtualServices) error {
	err := n.withIPVS(ctx, func(fd int) error {
		for _, s := range all {
			if err := addNew(fd, ipvsAdd, s.service[:]); err != nil {
				return err
			}
			for _, d := range s.destinations {
				both := append(append([]byte{}, s.service[:]...), d[:]...)
				if err := addNew(fd, ipvsAddDestination, both); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("add virtual services to %s: %w", n, err)
	}
	return nil
}

// addNew adds something that may be there.
func addNew(fd, option int, what []byte) error {
	err := unix.SetsockoptString(fd, unix.IPPROTO_IP, option, string(what))
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// withIPVS runs f on the node's thread with a socket by which IPVS can be asked.
func (n *Node) withIPVS(ctx context.Context, f func(fd int) error) error {
	return n.Do(ctx, func() error {
		if _, err := os.Stat(ipvsState); err != nil {
			return errors.New("the kernel has no IPVS")
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return fmt.Errorf("open raw socket: %w", err)
		}
		defer unix.Close(fd)
		return f(fd)
	})
}

func listServices(fd int) (VirtualServices, error) {
	info := make([]byte, 12) // struct ip_vs_getinfo: version, size, num_services
	if err := getsockopt(fd, ipvsInfo, info); err != nil {
		return nil, err
	}
	count := binary.NativeEndian.Uint32(info[8:])
	table := make([]byte, servicesHeader+serviceEntry*int(count))
	binary.NativeEndian.PutUint32(table, count)
	if err := getsockopt(fd, ipvsServices, table); err != nil {
		return nil, err
	}
	all := make(VirtualServices, count)
	for i := range all {
		entry := table[servicesHeader+serviceEntry*i:]
		copy(all[i].service[:], entry)
		var err error
		if all[i].destinations, err = listDestinations(fd, entry); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// listDestinations lists those of a struct ip_vs_service_entry.
func listDestinations(fd int, entry []byte) ([][destinationLength]byte, error) {
	count := binary.NativeEndian.Uint32(entry[serviceLength:])
	table := make([]byte, destinationsHeader+destinationEntry*int(count))
	copy(table, entry[:16]) // protocol, address, port, mark
	binary.NativeEndian.PutUint32(table[16:], count)
	if err := getsockopt(fd, ipvsDestinations, table); err != nil {
		return nil, err
	}
	all := make([][destinationLength]byte, count)
	for i := range all {
		copy(all[i][:], table[destinationsHeader+destinationEntry*i:])
	}
	return all, nil
}

// getsockopt asks an option of IPVS a question, which it answers in place.
func getsockopt(fd, option int, buffer []byte) error {
	length := uint32(len(buffer))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_IP, uintptr(option),
		uintptr(unsafe.Pointer(&buffer[0])), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
