export type { HttpOptions } from './options.ts';
export { type AgentOptions, createAgent, type ServiceAgent } from './service-agent.ts';
