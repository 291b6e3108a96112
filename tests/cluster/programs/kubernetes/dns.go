package main

import (
	"context"
	"errors"
	"net"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/clientcmd"
)

const ttlSeconds = 5

// resolver answers for the Services of the cluster and passes on every other question to the
// name servers of this machine. It stands in for CoreDNS, whose module brings the clients of
// three clouds along and would more than double the build.
type resolver struct {
	suffix   string // ".svc." and the cluster's domain
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	upstream *dns.ClientConfig
}

func (r resolver) ServeDNS(writer dns.ResponseWriter, request *dns.Msg) {
	if len(request.Question) != 1 {
		dns.HandleFailed(writer, request)
		return
	}
	name, inCluster := strings.CutSuffix(strings.ToLower(request.Question[0].Name), r.suffix)
	if !inCluster {
		r.forward(writer, request)
		return
	}
	answer := new(dns.Msg).SetReply(request)
	answer.Authoritative = true
	addresses, found := r.addresses(name)
	if !found {
		answer.Rcode = dns.RcodeNameError
	}
	if request.Question[0].Qtype == dns.TypeA {
		for _, address := range addresses {
			header := dns.RR_Header{
				Name: request.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttlSeconds,
			}
			answer.Answer = append(answer.Answer, &dns.A{Hdr: header, A: net.ParseIP(address)})
		}
	}
	_ = writer.WriteMsg(answer)
}

// addresses of SERVICE.NAMESPACE: its cluster IP or, of a headless one, those of its ready pods.
func (r resolver) addresses(name string) ([]string, bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 2 {
		return nil, false
	}
	service, err := r.services.Services(parts[1]).Get(parts[0])
	if err != nil {
		return nil, false
	}
	if service.Spec.ClusterIP != corev1.ClusterIPNone {
		return service.Spec.ClusterIPs, true
	}
	selector := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name})
	slices, err := r.slices.EndpointSlices(service.Namespace).List(selector)
	if err != nil {
		return nil, false
	}
	var addresses []string
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				addresses = append(addresses, endpoint.Addresses...)
			}
		}
	}
	return addresses, true
}

func (r resolver) forward(writer dns.ResponseWriter, request *dns.Msg) {
	client := dns.Client{Net: writer.LocalAddr().Network(), Timeout: 2 * time.Second}
	for _, server := range r.upstream.Servers {
		answer, _, err := client.Exchange(request, net.JoinHostPort(server, r.upstream.Port))
		if err == nil {
			_ = writer.WriteMsg(answer)
			return
		}
	}
	dns.HandleFailed(writer, request)
}

func dnsCommand() *cobra.Command {
	var kubeconfig, address, domain, resolvConf string
	command := &cobra.Command{
		Use: "cluster-dns",
		RunE: func(command *cobra.Command, _ []string) error {
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return err
			}
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return err
			}
			upstream, err := dns.ClientConfigFromFile(resolvConf)
			if err != nil {
				return err
			}
			ctx, cancel := signal.NotifyContext(command.Context(), syscall.SIGTERM)
			defer cancel()
			factory := informers.NewSharedInformerFactory(client, 0)
			handler := resolver{
				suffix:   ".svc." + domain + ".",
				services: factory.Core().V1().Services().Lister(),
				slices:   factory.Discovery().V1().EndpointSlices().Lister(),
				upstream: upstream,
			}
			factory.Start(ctx.Done())
			factory.WaitForCacheSync(ctx.Done())
			return listen(ctx, address, handler)
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	command.Flags().StringVar(&address, "address", "", "where to answer, by UDP and TCP")
	command.Flags().StringVar(&domain, "domain", "cluster.local", "the cluster's domain")
	command.Flags().StringVar(&resolvConf, "resolv-conf", "/etc/resolv.conf", "whom to ask for other names")
	return command
}

// listen answers until the context ends or one of the two servers fails.
func listen(ctx context.Context, address string, handler dns.Handler) error {
	failures := make(chan error, 2)
	for _, network := range []string{"udp", "tcp"} {
		server := &dns.Server{Addr: address, Net: network, Handler: handler}
		go func() { failures <- server.ListenAndServe() }()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failures:
		return errors.Join(errors.New("cluster-dns"), err)
	}
}
