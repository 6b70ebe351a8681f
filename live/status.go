package live

import (
	"net/netip"
	"time"
)

// The kernels of Status.
const (
	// OnHost is the kernel of the machine, InGuest one that was booted for the lab.
	OnHost  = "host"
	InGuest = "guest"
)

// Status is how a lab is.
type Status struct {
	// Name is the lab's, Topology that of its network.
	Name     string `json:"name"`
	Topology string `json:"topology"`
	// Director is the program on the directors, Kernel OnHost or InGuest.
	Director string `json:"director"`
	Kernel   string `json:"kernel"`
	// Since is when the lab was up. Folder is where it keeps configuration and logs, as its nodes
	// see it.
	Since  time.Time    `json:"since"`
	Folder string       `json:"folder"`
	Nodes  []NodeStatus `json:"nodes"`
	VIPs   []VIPStatus  `json:"vips"`
	// Tables are those of the directors that have virtual services.
	Tables []Table `json:"tables"`
	Faults []Fault `json:"faults"`
}

// NodeStatus is how a node is.
type NodeStatus struct {
	Name string `json:"name"`
	Role string `json:"role"`
	// Powered says that it has not been powered off.
	Powered bool         `json:"powered"`
	Links   []LinkStatus `json:"links"`
	// Units are the programs that it is meant to run.
	Units []UnitStatus `json:"units"`
}

// LinkStatus is how an interface of a node is. The loopback is left out.
type LinkStatus struct {
	Name string `json:"name"`
	// Up says that it is switched on and has carrier.
	Up        bool           `json:"up"`
	Addresses []netip.Prefix `json:"addresses"`
}

// UnitStatus is how a program is that a node is meant to run.
type UnitStatus struct {
	Name string `json:"name"`
	// State is "running", "frozen" or "stopped".
	State string `json:"state"`
}

// VIPStatus says who has a VIP.
type VIPStatus struct {
	Name    string     `json:"name"`
	Address netip.Addr `json:"address"`
	Holders []string   `json:"holders"`
}

// Table is the IPVS table of a director.
type Table struct {
	Node     string         `json:"node"`
	Services []TableService `json:"services"`
}

// TableService is a virtual service in a kernel.
type TableService struct {
	// Protocol is "tcp", "udp" or "fwmark", Address what it is called by: "192.168.1.1:80", or the
	// mark.
	Protocol  string        `json:"protocol"`
	Address   string        `json:"address"`
	Scheduler string        `json:"scheduler"`
	Servers   []TableServer `json:"real_servers"`
}

// TableServer is a real server of a virtual service.
type TableServer struct {
	Address netip.AddrPort `json:"address"`
	// Node has the address; empty: none of the lab has.
	Node   string `json:"node,omitempty"`
	Weight int    `json:"weight"`
	// Active and Inactive are the connections that the kernel knows of.
	Active   int `json:"active"`
	Inactive int `json:"inactive"`
}
