export default {
  // Not bundled: the pool has to be a `pg.Pool` of the one `pg` that everything else uses.
  serverExternalPackages: ['@externalname/pg'],
};
