/** Where the database is. The client's checks and the cluster's policies are made of the same facts. */
export const premises = {
  service: 'orders-db',
  namespace: 'shop',
  /** The name that the private DNS of the premises knows, and that the certificate is for. */
  hostName: 'orders-db.dc1.example.com',
  /** The networks behind the line, as CIDR. */
  networks: ['10.20.0.0/24'],
  port: 5432,
} as const;
