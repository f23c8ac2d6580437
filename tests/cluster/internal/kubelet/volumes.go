package kubelet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	authv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// prepareVolumes fills a directory for each volume of the pod. It may be
// called again after an error.
func (p *pod) prepareVolumes(ctx context.Context) error {
	for i := range p.spec().Volumes {
		volume := &p.spec().Volumes[i]
		if volume.HostPath != nil {
			continue
		}
		if err := p.prepareVolume(ctx, volume); err != nil {
			return fmt.Errorf("MountVolume.SetUp failed for volume %q : %w", volume.Name, err)
		}
	}
	return nil
}

func (p *pod) prepareVolume(ctx context.Context, volume *v1.Volume) error {
	dir := p.volumeDir(volume)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	switch {
	case volume.EmptyDir != nil:
		return os.Chmod(dir, 0o777)
	case volume.ConfigMap != nil:
		return p.writeConfigMap(ctx, dir, volume.ConfigMap.Name, volume.ConfigMap.Items, volume.ConfigMap.DefaultMode, volume.ConfigMap.Optional)
	case volume.Secret != nil:
		return p.writeSecret(ctx, dir, volume.Secret.SecretName, volume.Secret.Items, volume.Secret.DefaultMode, volume.Secret.Optional)
	case volume.DownwardAPI != nil:
		return p.writeFields(dir, volume.DownwardAPI.Items, volume.DownwardAPI.DefaultMode)
	case volume.Projected != nil:
		return p.writeProjected(ctx, dir, volume.Projected)
	}
	return fmt.Errorf("kind of volume is not supported; supported are emptyDir, configMap, secret, downwardAPI, projected, hostPath")
}

// volumeDir is the host directory of a volume.
func (p *pod) volumeDir(volume *v1.Volume) string {
	if volume.HostPath != nil {
		return volume.HostPath.Path
	}
	return filepath.Join(p.dir, "volumes", volume.Name)
}

func (p *pod) writeProjected(ctx context.Context, dir string, projected *v1.ProjectedVolumeSource) error {
	for _, source := range projected.Sources {
		var err error
		switch {
		case source.ConfigMap != nil:
			err = p.writeConfigMap(ctx, dir, source.ConfigMap.Name, source.ConfigMap.Items, projected.DefaultMode, source.ConfigMap.Optional)
		case source.Secret != nil:
			err = p.writeSecret(ctx, dir, source.Secret.Name, source.Secret.Items, projected.DefaultMode, source.Secret.Optional)
		case source.DownwardAPI != nil:
			err = p.writeFields(dir, source.DownwardAPI.Items, projected.DefaultMode)
		case source.ServiceAccountToken != nil:
			err = p.writeToken(ctx, dir, source.ServiceAccountToken)
		default:
			err = fmt.Errorf("kind of projected source is not supported")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeToken asks the API server for a token of the pod's service account. It
// is not renewed: its hour outlives a test cluster's pods.
func (p *pod) writeToken(ctx context.Context, dir string, source *v1.ServiceAccountTokenProjection) error {
	request := &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{
		ExpirationSeconds: source.ExpirationSeconds,
		BoundObjectRef:    &authv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: p.name, UID: p.uid},
	}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}
	accounts := p.kubelet.client.CoreV1().ServiceAccounts(p.namespace)
	token, err := accounts.CreateToken(ctx, p.spec().ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("cannot get a token for service account %s: %w", p.spec().ServiceAccountName, err)
	}
	return writeEntry(dir, source.Path, token.Status.Token, 0o644)
}

func (p *pod) writeConfigMap(ctx context.Context, dir, name string, items []v1.KeyToPath, mode *int32, optional *bool) error {
	data, err := p.configMap(ctx, name, optional)
	if err != nil {
		return notFoundAs("configmap", name, err)
	}
	return writeEntries(dir, "configmap "+name, data, items, mode, optional)
}

func (p *pod) writeSecret(ctx context.Context, dir, name string, items []v1.KeyToPath, mode *int32, optional *bool) error {
	data, err := p.secret(ctx, name, optional)
	if err != nil {
		return notFoundAs("secret", name, err)
	}
	return writeEntries(dir, "secret "+name, data, items, mode, optional)
}

func notFoundAs(kind, name string, err error) error {
	if errors.IsNotFound(err) {
		return fmt.Errorf("%s %q not found", kind, name)
	}
	return err
}

func (p *pod) writeFields(dir string, items []v1.DownwardAPIVolumeFile, mode *int32) error {
	for _, item := range items {
		if item.FieldRef == nil {
			return fmt.Errorf("downward API file %s: only fieldRef is supported", item.Path)
		}
		value, err := p.field(item.FieldRef.FieldPath)
		if err != nil {
			return err
		}
		if err := writeEntry(dir, item.Path, value, modeOf(item.Mode, mode)); err != nil {
			return err
		}
	}
	return nil
}

func writeEntries(dir, what string, data map[string]string, items []v1.KeyToPath, mode *int32, optional *bool) error {
	if len(items) == 0 {
		for key, value := range data {
			if err := writeEntry(dir, key, value, modeOf(nil, mode)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, item := range items {
		value, ok := data[item.Key]
		if !ok {
			if optional != nil && *optional {
				continue
			}
			return fmt.Errorf("%s references non-existent key: %s", what, item.Key)
		}
		if err := writeEntry(dir, item.Path, value, modeOf(item.Mode, mode)); err != nil {
			return err
		}
	}
	return nil
}

func writeEntry(dir, name, value string, mode os.FileMode) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("path %q leads out of the volume", name)
	}
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

func modeOf(item, volume *int32) os.FileMode {
	switch {
	case item != nil:
		return os.FileMode(*item) & os.ModePerm
	case volume != nil:
		return os.FileMode(*volume) & os.ModePerm
	}
	return 0o644
}
