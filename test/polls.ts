/**
 * How long `expect.poll` waits unless a test says otherwise. The default of vitest, one second, is a statement about the machine. More than
 * this would hide a defect: after ten seconds a pool closes what is idle, and ends what is drained, by itself.
 */
export const patientPolls = { poll: { timeout: 5_000 } };
