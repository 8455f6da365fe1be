/* SPDX-License-Identifier: LGPL-2.1-or-later */

namespace Evp {
	public abstract class Selector : GLib.Object {
		[CCode (cname = "evp_selector_new_default")]
		public static Evp.Selector new_default ();
	}
	public abstract class Proactor : GLib.Object {
		[CCode (cname = "evp_proactor_new_default")]
		public static Evp.Proactor new_default ();
	}
}
