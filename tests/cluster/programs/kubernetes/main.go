// Command kubernetes is the control plane and the node of one Kubernetes in a single binary.
//
// It runs the component named by argv[0] (as busybox does), or else by its first argument. One
// program is compiled and linked once, in a third of the time and size of seven separate ones.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectlcmd "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"

	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var components = map[string]func(args []string){
	"etcd": etcdmain.Main,
	"kube-apiserver": serve(func() *cobra.Command {
		return apiserver.NewAPIServerCommand()
	}),
	"kube-controller-manager": serve(controllermanager.NewControllerManagerCommand),
	"kube-scheduler": serve(func() *cobra.Command {
		return scheduler.NewSchedulerCommand()
	}),
	"kube-proxy": serve(proxy.NewProxyCommand),
	"kubelet": serve(func() *cobra.Command {
		return kubelet.NewKubeletCommand(context.Background())
	}),
	"kubectl":            kubectl,
	"volume-provisioner": serve(provisionerCommand),
	"cluster-dns":        serve(dnsCommand),
}

// serve runs a component's own command with its own exit code.
func serve(command func() *cobra.Command) func(args []string) {
	return func(args []string) {
		os.Args = args
		os.Exit(cli.Run(command()))
	}
}

func kubectl(args []string) {
	os.Args = args
	if err := cli.RunNoErrOutput(kubectlcmd.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args
	if _, known := components[name]; !known && len(os.Args) > 1 {
		name, args = os.Args[1], os.Args[1:]
	}
	run, known := components[name]
	if !known {
		names := make([]string, 0, len(components))
		for component := range components {
			names = append(names, component)
		}
		slices.Sort(names)
		fmt.Fprintln(os.Stderr, "usage: kubernetes", strings.Join(names, "|"), "[argument ...]")
		os.Exit(2)
	}
	run(args)
}
