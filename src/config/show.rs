//! How the value of an option looks to clients: the counterpart of [`Datatype::parse`](super::datatypes::Datatype::parse).

use crate::level::Level;
use crate::signal;
use crate::wire::value::Value;

use super::datatypes::*;
use super::dependency::DependsOn;
use super::values::{Autorestart, ServerUrl, UnknownAction, User};

impl<T: Show> Show for Option<T> {
    fn shown(&self) -> Value {
        self.as_ref().map_or("".into(), T::shown)
    }

    fn listed(&self) -> Value {
        self.as_ref().map_or("none".into(), T::listed)
    }
}

impl Show for String {
    fn shown(&self) -> Value {
        self.clone().into()
    }
}

impl Show for i64 {
    fn shown(&self) -> Value {
        (*self).into()
    }
}

impl Show for bool {
    fn shown(&self) -> Value {
        (*self).into()
    }
}

impl Show for Unexpanded {
    fn shown(&self) -> Value {
        self.0.clone().into()
    }
}

impl Show for Name {
    fn shown(&self) -> Value {
        self.0.clone().into()
    }
}

impl Show for FilePath {
    fn shown(&self) -> Value {
        self.0.clone().into()
    }
}

impl Show for Directory {
    fn shown(&self) -> Value {
        self.0.clone().into()
    }
}

impl Show for ByteSize {
    fn shown(&self) -> Value {
        self.0.into()
    }
}

impl Show for DependsOn {
    fn shown(&self) -> Value {
        self.to_string().into()
    }
}

impl Show for Octal {
    fn shown(&self) -> Value {
        format!("{:03o}", self.0).into()
    }
}

impl Show for Strings {
    fn shown(&self) -> Value {
        self.0.join(",").into()
    }
}

impl Show for Level {
    fn shown(&self) -> Value {
        self.config_name().into()
    }
}

impl Show for ExitCodes {
    fn shown(&self) -> Value {
        Value::Array(self.0.iter().map(|code| Value::from(*code)).collect())
    }
}

impl Show for Autorestart {
    fn shown(&self) -> Value {
        match self {
            Autorestart::Always => "true".into(),
            Autorestart::Unexpected => "unexpected".into(),
            Autorestart::Never | Autorestart::Essential => "false".into(),
        }
    }
}

impl Show for UnknownAction {
    fn shown(&self) -> Value {
        match self {
            UnknownAction::Ignore => "ignore".into(),
            UnknownAction::Restart => "restart".into(),
        }
    }
}

impl Show for SignalNumber {
    fn shown(&self) -> Value {
        signal::name(self.0).into()
    }

    fn listed(&self) -> Value {
        self.0.into()
    }
}

impl Show for User {
    fn shown(&self) -> Value {
        self.text.clone().into()
    }

    fn listed(&self) -> Value {
        i64::from(self.uid).into()
    }
}

impl Show for LogFile {
    fn shown(&self) -> Value {
        match self {
            LogFile::None | LogFile::Syslog => "NONE".into(),
            LogFile::Auto => "AUTO".into(),
            LogFile::Path(path) => path.clone().into(),
        }
    }

    fn listed(&self) -> Value {
        match self {
            LogFile::None | LogFile::Syslog => "none".into(),
            LogFile::Auto => "auto".into(),
            LogFile::Path(path) => path.clone().into(),
        }
    }
}

impl Show for ServerUrl {
    fn shown(&self) -> Value {
        self.url.shown()
    }

    fn listed(&self) -> Value {
        if self.is_auto { "none".into() } else { self.url.listed() }
    }
}
