export { EventChannel } from './channels.ts';
