/** Ten applications that use one database. */
export const applications: readonly string[] = [
  'accounts',
  'basket',
  'billing',
  'catalog',
  'mailer',
  'orders',
  'reports',
  'search',
  'shipping',
  'stock',
];

/** The hosts that the Service may point to. */
export const allowedTargets: readonly string[] = ['primary-db.example.com', 'secondary-db.example.com'];
