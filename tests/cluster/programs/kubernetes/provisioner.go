package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// provisioner makes volumes of type `local` below one folder: plain folders or, in a class with
// the parameter `sized: "true"`, loop-mounted file systems that really end at the size asked for.
// Either way they belong to root, as the volumes of a cloud do: the kubelet applies a pod's fsGroup.
type provisioner struct {
	folder string
	node   string
}

func (p provisioner) Provision(
	ctx context.Context, options controller.ProvisionOptions,
) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	path := filepath.Join(p.folder, options.PVName)
	size := options.PVC.Spec.Resources.Requests[corev1.ResourceStorage]
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	if options.StorageClass.Parameters["sized"] == "true" {
		if err := mountSized(ctx, path, size.Value()); err != nil {
			return nil, controller.ProvisioningFinished, err
		}
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   options.PVC.Spec.AccessModes,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: size},
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				Local: &corev1.LocalVolumeSource{Path: path},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchExpressions: []corev1.NodeSelectorRequirement{{
						Key:      corev1.LabelHostname,
						Operator: corev1.NodeSelectorOpIn,
						Values:   []string{p.node},
					}},
				}},
			}},
		},
	}, controller.ProvisioningFinished, nil
}

func (p provisioner) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	path := filepath.Join(p.folder, volume.Name)
	if err := syscall.Unmount(path, 0); err != nil && err != syscall.EINVAL && err != syscall.ENOENT {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	if err := os.RemoveAll(imageOf(path)); err != nil {
		return err
	}
	return os.RemoveAll(path)
}

func imageOf(path string) string { return path + ".ext4" }

// mountSized mounts a new ext4 file system of so many bytes; without a journal and reserved
// blocks, which on a small one would take much of the room.
func mountSized(ctx context.Context, path string, bytes int64) error {
	image := imageOf(path)
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(image, bytes); err != nil {
		return err
	}
	for _, command := range [][]string{
		{"mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", image},
		{"mount", "-o", "loop", image, path},
	} {
		output, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%v with %s bytes: %w: %s", command, strconv.FormatInt(bytes, 10), err, output)
		}
	}
	return nil
}

func provisionerCommand() *cobra.Command {
	var kubeconfig, name string
	var volumes provisioner
	command := &cobra.Command{
		Use: "volume-provisioner",
		RunE: func(command *cobra.Command, _ []string) error {
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return err
			}
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return err
			}
			ctx, cancel := signal.NotifyContext(command.Context(), syscall.SIGTERM)
			defer cancel()
			controller.NewProvisionController(
				ctx, client, name, volumes, controller.LeaderElection(false),
			).Run(ctx)
			return nil
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	command.Flags().StringVar(&name, "name", "", "provisioner of the storage classes to serve")
	command.Flags().StringVar(&volumes.folder, "folder", "", "where the volumes are made")
	command.Flags().StringVar(&volumes.node, "node", "", "node that the folder is on")
	return command
}
