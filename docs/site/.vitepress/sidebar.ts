/** A group of pages, as VitePress takes it. Without its types, because tests read this where it is not installed. */
interface SidebarGroup {
  readonly text: string;
  readonly items: { readonly text: string; readonly link: string }[];
}

/** What is where on the site. Each page is named once. */
export const sidebar: SidebarGroup[] = [
  group('Begin', {
    '/start': 'Start: the first failover in five minutes',
    '/concepts': 'Concepts',
    '/guides/first-hour': 'The first hour',
    '/guides/from-a-clone': 'From a clone',
    '/guides/demo': 'The demo',
    '/comparison': 'Comparison with the alternatives',
  }),
  group('Disaster recovery', {
    '/guides/disaster-recovery': 'PostgreSQL, step by step',
    '/guides/switch': 'A switch with care',
    '/guides/kubernetes-source': 'A pushed switch',
    '/guides/engines': 'Following an engine',
    '/guides/drill': 'Rehearse a failover',
    '/guides/production-checklist': 'Production checklist',
    '/guides/troubleshooting': 'Troubleshooting by symptom',
  }),
  group('PostgreSQL', {
    '/guides/coming-from-pg-pool': 'Coming from pg.Pool',
    '/guides/pool': 'The pool',
    '/guides/transactions': 'Transactions',
    '/guides/pipelining': 'Pipelining and prepared statements',
    '/guides/replicas': 'Replicas and read-your-writes',
    '/guides/listen': 'Notifications',
    '/guides/client': 'A client',
    '/guides/environment': 'Environment and connection string',
    '/guides/fault-matrix': 'The fault matrix',
  }),
  group('ORMs, queues and instrumentation', {
    '/libraries/': 'All libraries',
    '/libraries/drizzle': 'Drizzle',
    '/libraries/kysely': 'Kysely',
    '/libraries/knex': 'Knex',
    '/libraries/typeorm': 'TypeORM',
    '/libraries/sequelize-6': 'Sequelize 6',
    '/libraries/sequelize-7': 'Sequelize 7',
    '/libraries/mikroorm': 'MikroORM',
    '/libraries/prisma': 'Prisma',
    '/libraries/pg-boss': 'pg-boss',
    '/libraries/graphile-worker': 'graphile-worker',
    '/libraries/connect-pg-simple': 'connect-pg-simple',
    '/libraries/streams': 'Streams of rows',
    '/libraries/opentelemetry': 'OpenTelemetry',
    '/libraries/datadog': 'Datadog',
    '/libraries/nestjs': 'NestJS',
    '/libraries/nextjs': 'Next.js',
  }),
  group('Names, DNS and TLS', {
    '/guides/balancing': 'Balancing',
    '/guides/targets': 'Targets',
    '/guides/dns': 'DNS',
    '/guides/tls-identity': 'TLS',
    '/guides/http': 'HTTPS',
    '/guides/protocols': 'Other protocols',
  }),
  group('Manifests and security', {
    '/guides/security': 'Security',
    '/guides/manifests': 'Manifests',
    '/guides/validation': 'Validation',
  }),
  group('Operations', {
    '/guides/cli': 'The command',
    '/guides/diagnosis': 'Diagnosis as a library',
    '/guides/monitoring': 'Monitoring',
    '/guides/monitoring#alerts': 'Alerts and runbooks',
    '/guides/local-cluster': 'A cluster for tests',
    '/guides/postgres-pair': 'A PostgreSQL pair to fail over',
    '/guides/off-loopback': 'Off loopback',
  }),
  group('Examples', {
    '/examples/webscaler/': 'Disaster recovery',
    '/examples/hybrid/': 'A database on the premises',
    '/examples/multi-cloud-reads/': 'Reads in two clouds',
    '/examples/migration/': 'From ClusterIP to ExternalName and back',
    '/examples/configuration-centralisation/': 'Ten applications, one Service, one patch',
    '/examples/httpbin/': 'HTTPS: httpbin',
    '/examples/own-wrapper/': 'Your own wrapper on core: Redis',
    '/examples/service/': 'A service with health and metrics',
    '/examples/switch/': 'A switch, with care',
    '/examples/transactions/': 'Transactions through a failover',
    '/examples/dns/': 'The two hops of a Service',
    '/examples/local-cluster/': 'A failover in a test',
    '/examples/manifests/': 'Manifests',
  }),
  group('Packages', {
    '/packages/pg/': '@externalname/pg',
    '/packages/core/': '@externalname/core',
    '/packages/kubernetes/': '@externalname/kubernetes',
    '/packages/engines/': '@externalname/engines',
    '/packages/http/': '@externalname/http',
    '/packages/prometheus/': '@externalname/prometheus',
    '/packages/doctor/': '@externalname/doctor',
    '/packages/drill/': '@externalname/drill',
    '/packages/cli/': '@externalname/cli',
    '/packages/testing/': '@externalname/testing',
  }),
  group('Reference', {
    '/options': 'Options in one table',
    '/packages/pg/#options': 'Options of the pool',
    '/support': 'Support',
    '/errors': 'Errors',
    '/events': 'Events',
    '/guides/monitoring#metrics': 'Metrics',
    '/api/': 'API',
    '/decisions/': 'Decisions',
    '/guides/architecture-pg': 'How pg is built',
    '/changelog': 'Changelog',
  }),
];

function group(text: string, pages: Readonly<Record<string, string>>): SidebarGroup {
  const items = Object.entries(pages).map(([link, title]) => ({ text: title, link }));
  // Not to be collapsed: the theme would put one button into another, which a screen reader cannot use.
  return { text, items };
}
