/** Where the replicas are, and how much of the reads each gets. */
export const clouds = [
  { service: 'catalog-reads-a', hostName: 'catalog.cloud-a.example.com', weight: 3 },
  { service: 'catalog-reads-b', hostName: 'catalog.cloud-b.example.com', weight: 1 },
] as const;

export const namespace = 'shop';
