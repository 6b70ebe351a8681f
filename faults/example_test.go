package faults_test

import (
	"context"
	"fmt"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// A lab in a test of one's own: a director's cable is pulled and plugged in again. The test's TestMain
// calls lab.Main.
func Example() {
	ctx := context.Background()
	network, err := topology.Preset("fig5")
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := lab.Up(ctx, network, lab.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	lb1, _ := l.Node("lb1")
	carrier := func() {
		r, err := lb1.Exec(ctx, "cat", "/sys/class/net/eth0/carrier")
		fmt.Print("carrier ", string(r.Output))
		if err != nil {
			fmt.Println(err)
		}
	}
	pulled, err := faults.New(faults.LinkDown, "lb1:eth0", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	heal, err := pulled.Inject(ctx, l)
	if err != nil {
		fmt.Println(err)
		return
	}
	carrier()
	if err := heal(ctx); err != nil {
		fmt.Println(err)
	}
	carrier()
	// Output:
	// carrier 0
	// carrier 1
}
