package scenarios

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// Equip gives the nodes of a lab what they are meant to run, as units, and starts nothing: each
// director the program d with a configuration file, NODE.conf in the folder dir, which has the
// given lines of global_defs; each real server, or where there is no service each director, what
// answers the clients. The folder must exist. A second call does the same again.
func Equip(ctx context.Context, l *lab.Lab, d Director, dir string, globals []string) error {
	if err := writeMarks(ctx, l); err != nil {
		return err
	}
	if err := markTraffic(ctx, l); err != nil {
		return err
	}
	t := l.Topology()
	for _, n := range l.Directors() {
		file := configFile(dir, n)
		if err := os.WriteFile(file, []byte(configWith(t, n.Spec(), globals)), 0o644); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
		n.AddUnit(faults.DirectorUnit, func(ctx context.Context) (*lab.Process, error) {
			return d.start(ctx, n, file)
		})
		if len(t.Services) == 0 {
			addServer(n) // the clients then talk to the director itself
		}
	}
	for _, n := range l.NodesOf(topology.RealServer) {
		addServer(n)
	}
	return nil
}

// configFile is the configuration file of a director of a lab whose folder is dir.
func configFile(dir string, n *lab.Node) string { return filepath.Join(dir, n.Name()+".conf") }

// serverPort is where the built-in real servers listen.
const serverPort = 80

// addServer names the program of a node that answers the clients: that of the service which has it
// as a real server, else HTTP.
func addServer(n *lab.Node) {
	protocol, port := serves(n.Lab().Topology(), n.Name())
	n.AddUnit(faults.ServerUnit, func(ctx context.Context) (*lab.Process, error) {
		return n.StartService(ctx, protocol, port)
	})
}

// serves is what a node answers, by the first service that names it.
func serves(t topology.Topology, node string) (topology.Protocol, uint16) {
	for _, s := range t.Services {
		for _, d := range s.RealServers {
			if d.Node == node {
				return s.Protocol, d.Port
			}
		}
	}
	return topology.HTTP, serverPort
}

// StartUnits starts every unit of a lab that Equip has equipped, unless it runs: real servers and
// the routers of uplinks first. It returns when the programs run, which is before the directors have
// elected a master.
func StartUnits(ctx context.Context, l *lab.Lab) error {
	for _, name := range []string{faults.ServerUnit, uplinkUnit, faults.DirectorUnit} {
		for _, n := range l.Nodes() {
			if u, ok := n.Unit(name); ok {
				if err := u.Start(ctx); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
