/** The objects of the story that the project is measured by. */
export const webscalerDb = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'webscaler-db', namespace: 'default' },
  spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
};

export const serviceManifest = `apiVersion: v1
kind: Service
metadata: { name: webscaler-db, namespace: default }
spec: { type: ExternalName, externalName: primary-db.example.com }   # no selector, no ports
`;

export const clientManifest = `apiVersion: v1
kind: Pod
metadata: { name: webscaler-client, namespace: default }
spec:
  containers:
    - { name: ubuntu-container, image: "ubuntu:latest", command: ["/bin/bash", "-c", "while true; do sleep 3600; done"] }
`;

/** The switch, as the story writes it. */
export const switchPatch = '[{"op": "replace", "path": "/spec/externalName", "value": "secondary-db.example.com"}]';

export const serviceName = 'webscaler-db.default.svc.cluster.local';
