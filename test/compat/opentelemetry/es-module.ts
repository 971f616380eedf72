import * as ours from '@externalname/pg';
import pg from 'pg';
import { startApplication } from './application.ts';

startApplication({ ours, pg });
