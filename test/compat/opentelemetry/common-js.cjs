const ours = require('@externalname/pg');
const pg = require('pg');
const { startApplication } = require('./application.ts');

startApplication({ ours, pg });
