/** What one dependency or condition says of itself when /health is asked. */
export interface ReadinessCheck {
  ok: boolean;
  detail?: string;
  [member: string]: unknown;
}

export interface ReadinessReport {
  status: 'ready' | 'not-ready';
  /** Who answers, and where it stands: what `about` gives. */
  [member: string]: unknown;
  checks: Record<string, ReadinessCheck>;
}

/** Collects the checks of one process. A check answers from what is known already: it makes no calls. */
export class Readiness {
  private readonly checks = new Map<string, { required: boolean; read: () => ReadinessCheck }>();
  private about: () => Record<string, unknown> = () => ({});

  /** Shown beside the checks: whoever asks may want to know who answers. */
  describe(about: () => Record<string, unknown>): void {
    this.about = about;
  }

  /** `required: false` shows a dependency that the process can do without (a node serves reads without the bus). */
  add(name: string, read: () => ReadinessCheck, options: { required: boolean }): void {
    this.checks.set(name, { required: options.required, read });
  }

  report(): ReadinessReport {
    const checks: Record<string, ReadinessCheck> = {};
    let ready = true;
    for (const [name, { required, read }] of this.checks) {
      const check = read();
      checks[name] = check;
      if (required && !check.ok) ready = false;
    }
    return { ...this.about(), status: ready ? 'ready' : 'not-ready', checks };
  }
}
