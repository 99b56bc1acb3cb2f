//! The macro by which a table of [`Row`]s becomes a struct.
//!
//! Reading, showing and comparing walk a struct's fields and its rows side by side ([`Walk`]): neither can have what the
//! other lacks. A field is an option, or a table of its own that each output channel has ([`Field`]).

use std::slice;

use super::datatypes::{Datatype, Show};
use super::error::ConfigError;
use super::reader::Reader;
use super::row::Row;

/// The rows of a table, one after the other, as whoever goes through its fields needs them.
pub(super) struct Walk(slice::Iter<'static, Row>);

impl Walk {
    pub(super) fn new(rows: &'static [Row]) -> Walk {
        Walk(rows.iter())
    }

    fn row(&mut self) -> &'static Row {
        const NONE: &Row = &Row::new("", "", "");
        // Rows and fields come of the same macro: there are as many of the one as of the other.
        self.0.next().unwrap_or_else(|| {
            debug_assert!(false, "a field without a row");
            NONE
        })
    }
}

/// What takes an option that is shown, and its value.
pub(super) type Put<'p> = dyn FnMut(&'static Row, &dyn Show) + 'p;

/// What a field of a table can be: an option, or a table of its own.
pub(super) trait Field: Sized {
    /// Reads it; `follows` gives the value of the option that it follows, if it follows one.
    fn read(reader: &Reader, walk: &mut Walk, follows: Option<Self>) -> Result<Self, ConfigError>;
    /// Hands each option and its value on.
    fn show(&self, walk: &mut Walk, put: &mut Put<'_>);
    /// Whether all options but those passed over have the same value.
    fn is_same(&self, other: &Self, walk: &mut Walk, pass_over: &impl Fn(&Row) -> bool) -> bool;
}

impl<T: Datatype + Show + PartialEq> Field for T {
    fn read(reader: &Reader, walk: &mut Walk, follows: Option<T>) -> Result<T, ConfigError> {
        reader.option(walk.row(), follows)
    }

    fn show(&self, walk: &mut Walk, put: &mut Put<'_>) {
        put(walk.row(), self);
    }

    fn is_same(&self, other: &T, walk: &mut Walk, pass_over: &impl Fn(&Row) -> bool) -> bool {
        pass_over(walk.row()) || self == other
    }
}

/// A table of options. Each is `/// Doc.`, `name: Type`, then what stands in for it (`= "text"`, or `as other_option`,
/// which must stand above it), then in brackets what else its [`Row`] says. `[of Stdout]` makes the field a table of
/// [`channel_options`]. In parentheses stand fields that are no options, given to `read`.
macro_rules! options {
    ($(#[doc = $about:literal])* $options:ident $(($($given:ident: $type:ty),+))? {
        $($(#[doc = $doc:literal])+ $field:ident: $kind:ty
            $(= $default:literal)? $(as $other:ident)? $([$($more:tt)*])?;)*
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        #[allow(missing_docs)]
        pub struct $options { $($(pub $given: $type,)+)? $($(#[doc = $doc])+ pub $field: $kind,)* }

        #[allow(dead_code)]
        impl $options {
            const ALL: [Row; 0 $(+ options!(@count $kind, $($($more)*)?))*] = {
                let mut all = [Row::new("", "", ""); 0 $(+ options!(@count $kind, $($($more)*)?))*];
                let mut filled = 0;
                $({
                    const ROWS: &[Row] = options!(@rows
                        ($field, $kind, concat!($($doc),+) $(, default $default)? $(, follows $other)?),
                        $($($more)*)?);
                    let mut next = 0;
                    while next < ROWS.len() {
                        all[filled] = ROWS[next];
                        filled += 1;
                        next += 1;
                    }
                })*
                all
            };

            /// The rows, in the order of reading.
            pub const ROWS: &'static [Row] = &Self::ALL;

            /// Reads the options of a section.
            pub(super) fn read(reader: &Reader, $($($given: $type),+)?) -> Result<$options, ConfigError> {
                let mut walk = Walk::new(Self::ROWS);
                $(let $field = <$kind as Field>::read(reader, &mut walk, options!(@follows $($other)?))?;)*
                Ok($options { $($($given,)+)? $($field),* })
            }

            /// The values that stand in when a section says nothing. Errors: an option has to be given.
            pub fn defaults($($($given: $type),+)?) -> Result<$options, ConfigError> {
                let (document, section) = (Document::default(), Section::new("", "".into(), 0));
                let reader = Reader { document: &document, section: &section, scope: Scope::default(), env: &Nowhere, stand_in: None };
                Self::read(&reader $($(, $given)+)?)
            }

            /// Hands each option that is not there for making alone, and its value, to `put`.
            pub fn show(&self, put: &mut dyn FnMut(&'static Row, &dyn Show)) {
                let put: &mut Put<'_> = &mut |row, value| if !row.makes { put(row, value) };
                let mut walk = Walk::new(Self::ROWS);
                $(self.$field.show(&mut walk, put);)*
            }

            /// Whether all options have the same value, but those that are passed over.
            pub fn is_same(&self, other: &$options, pass_over: impl Fn(&Row) -> bool) -> bool {
                let mut walk = Walk::new(Self::ROWS);
                $(self.$field.is_same(&other.$field, &mut walk, &pass_over))&&*
            }
        }
    };
    (@count $kind:ty, of $channel:ident) => { <$kind>::COUNT };
    (@count $kind:ty, $($more:tt)*) => { 1 };
    (@rows ($field:ident, $kind:ty, $($rest:tt)*), of $channel:ident) => { <$kind>::$channel };
    (@rows ($field:ident, $kind:ty, $doc:expr $(, $stands_in:ident $value:tt)?), $($more:tt)*) => {
        &[Row::new(stringify!($field), <$kind as Datatype>::KIND, $doc)
            $(.$stands_in(options!(@text $value)))? $($more)*]
    };
    (@text $value:literal) => { $value };
    (@text $value:ident) => { stringify!($value) };
    (@follows) => { None };
    (@follows $other:ident) => { Some($other.clone()) };
}

/// A table of options that each output channel has, under names that begin with `stdout_` and `stderr_`.
macro_rules! channel_options {
    ($(#[doc = $about:literal])* $options:ident {
        $($(#[doc = $doc:literal])+ $field:ident: $kind:ty $(= $default:literal)? [$($more:tt)*];)*
    }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $options { $($(#[doc = $doc])+ pub $field: $kind,)* }

        #[allow(non_upper_case_globals)]
        impl $options {
            const COUNT: usize = Self::Stdout.len();
            const Stdout: &'static [Row] = &[$(
                Row::new(concat!("stdout_", stringify!($field)), <$kind as Datatype>::KIND, concat!($($doc),+))
                    $(.default($default))? $($more)*
            ),*];
            const Stderr: &'static [Row] = &[$(
                Row::new(concat!("stderr_", stringify!($field)), <$kind as Datatype>::KIND, concat!($($doc),+))
                    $(.default($default))? $($more)* .moved(STDERR_PLACES)
            ),*];
        }

        impl Field for $options {
            fn read(reader: &Reader, walk: &mut Walk, _: Option<$options>) -> Result<$options, ConfigError> {
                $(let $field = Field::read(reader, walk, None)?;)*
                Ok($options { $($field),* })
            }

            fn show(&self, walk: &mut Walk, put: &mut Put<'_>) {
                $(self.$field.show(walk, put);)*
            }

            fn is_same(&self, other: &$options, walk: &mut Walk, pass_over: &impl Fn(&Row) -> bool) -> bool {
                $(self.$field.is_same(&other.$field, walk, pass_over))&&*
            }
        }
    };
}
